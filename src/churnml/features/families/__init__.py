"""The families of features: declarations only, one file each."""
