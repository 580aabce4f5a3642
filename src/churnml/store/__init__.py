"""The book of scores: what every account was told, when, by which model.

Owns the tables and their transactions; computes no score."""
