"""The report as one HTML file that needs nothing else: no network, no other file, no library in the browser.

What must not live here: finding out what is shown (pipeline/reporting.py).
"""
