"""Proofs about the whole program: kills, faults, memory, nights, documentation."""
