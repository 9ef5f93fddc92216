"""Insights out of the stored feedback: alerts, hot issues and a forecast, found by a process of their own."""
