"""Reports: what admins are told of an instance, such as who did what, and how often.

What happens is recorded elsewhere; here it is found, counted and put into files, always within
bounds: however much there is, no report reads all of it at once.
"""
