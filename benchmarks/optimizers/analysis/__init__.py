"""From the lines of results to tables and a figure: `scores` normalises, `bootstrap` says how sure, the rest writes."""
