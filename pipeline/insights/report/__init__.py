"""The weekly report as data: computed here, written out by pipeline/insights/report_text/."""
