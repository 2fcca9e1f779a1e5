"""The doctor: what is wrong with what is stored, said so that a person can act on it.

`findings` says what there is to find, `examination` looks into what belongs to one project (of the
database or of an archive), `checkup` into everything, and `mending` mends what is safe to mend.
"""
