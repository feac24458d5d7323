"""Every kind of access through every combination of entries: predicted by the model, and made by another CPU.

After the example of kvm-unit-tests' `access`: entries are stored to tables of their own, a CPU makes an access through
them, and its report, load, store and changes in the tables must match the model's.
"""
