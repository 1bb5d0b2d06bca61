//! What only a kind knows: its defaults and what makes it valid.
