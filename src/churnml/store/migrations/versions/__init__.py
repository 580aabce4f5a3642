"""One file for each version. A step that was released is never changed: stores have taken it."""
