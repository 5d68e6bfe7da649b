//! What the types promise by themselves: C55.
