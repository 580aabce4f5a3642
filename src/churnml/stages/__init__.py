"""One module per stage: the only place that opens, calls and writes."""
