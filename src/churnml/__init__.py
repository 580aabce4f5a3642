"""churnml: point-in-time churn, contraction and expansion prediction for B2B SaaS.

Owns the package version; the rooms below own everything else (see docs/decisions and README)."""

__version__ = "0.1.0"
