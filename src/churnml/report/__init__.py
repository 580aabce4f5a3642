"""The leadership report: what is at risk, what drives it, and how far to trust it.

`build` makes plain data (`ReportData`), `render` turns it into one self-contained page. Neither
reads the clock, a file of the project or the store."""
