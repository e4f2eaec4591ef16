"""The engine: a study's trials on Ray. The only package that imports `ray.tune`.

run.py            place a study on the cluster, run it, leave nothing behind
session.py        the Ray it runs on
resources.py      what a cluster can place
course.py         what comes next, what becomes of a report; leads Ray and the virtual clock alike
recorder.py       every event into the store, the log and the listeners
brain.py          suggestions, off Tune's loop
ahead.py          suggestions prepared while trials run; serves the virtual clock as well
tune_adapters.py  Tune's searcher, scheduler, callback and stopper
trial_actor.py    the actor behind a Tune trial
inline.py         one worker: the loop runs in the trial actor
gangs.py          the gangs of a study, from its beginning to its end
gang.py           several workers: one long-lived Ray Train run for many trials
train_run.py      the Ray Train run that holds them
group.py          the workers that it has at present: whether they are to go, where they stand
attempt.py        one attempt at a trial there: who waits, who is through
gang_worker.py    what the workers of a gang run
companion.py      a thread beside each of them that answers when the loop hangs
standstill.py     when ranks are taken to hang, and where they hang
stragglers.py     when a rank is slower than the others
room.py           whether a gang that is smaller than it might be can grow
loop.py           running a user's loop, leaving the process clean
boundary.py       what a report must be
checkpoints.py    checkpoints in the study's folder
_seam.py          Ray Train's private seam
_leftovers.py     what Ray Train's runs hold, also those that are lost
_notice.py        Ray Train's private names by which a worker learns that it is to end
"""
