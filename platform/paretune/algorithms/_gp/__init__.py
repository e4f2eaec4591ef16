"""The parts of Gaussian-process Bayesian optimisation, in the order in which a proposal passes through them.

encoding     configurations -> the columns a kernel sees
surrogate    columns and outcomes -> posteriors of the objectives
feasibility  columns and endings -> the probability that a trial ends well
knowledge    a history -> all of the above, fitted
acquire      posteriors -> how much trying a configuration is worth
optimize     the legal, untried configuration that is worth most
determinism  the same bits every time
"""
