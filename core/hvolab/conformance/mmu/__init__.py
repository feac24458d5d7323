"""Accesses through every combination of entries: predicted by the model, and made by a CPU, as in kvm-unit-tests."""
