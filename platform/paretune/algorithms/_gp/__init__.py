"""The parts of Gaussian-process Bayesian optimisation, in the order in which a proposal passes through them.

settings          what a user may set
encoding, cube    configurations, and points of the cube in bulk -> the columns a kernel sees
outcomes          results -> standardised outcomes, perhaps warped
input_warp        columns bent at one end or both
posterior_mode    columns and outcomes -> the most probable hyperparameters
posterior_sample  and other plausible ones
calibration       all of these, from the results up to the last round number
kernel, process   hyperparameters and all results -> posteriors, also of what is only imagined
prior, transfer   what earlier studies expect, as a mean known beforehand
surrogate         the model of all outcomes
memory            layouts and endings -> which layouts need more memory than there is
feasibility       columns and endings -> the probability that a trial ends well
knowledge         a history -> all of the above
parego            more than four objectives -> one
improvement       posteriors -> expected improvements in closed form
boxes             a front -> the boxes it does not dominate
belief            what the user believes
acquire           how much trying a configuration is worth: all of these together
legal, optimize   the legal, untried configuration that is worth most
joint             several of them, worth most together
regret            what is left to gain
hindsight         looking back: means, intervals and calibration of a finished study
determinism       the same bits every time
"""
