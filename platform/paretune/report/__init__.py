"""From a study's log to something worth reading.

outcomes   which trials are best, the front, the hypervolume: plain values, no tables
frames     the same as pandas and Arrow tables
charts     Altair charts of the frames; theme holds every colour
page       one self-contained HTML file
"""
