"""From labelled features to a judged model: assemble, split, fit, calibrate, evaluate, gate."""
