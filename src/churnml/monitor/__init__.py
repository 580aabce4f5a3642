"""Watching what was promised: drift of the inputs. Owns the measures; opens no store."""
