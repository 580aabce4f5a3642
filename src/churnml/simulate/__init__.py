"""A seeded SaaS company whose accounts churn for planted, recorded causes."""
