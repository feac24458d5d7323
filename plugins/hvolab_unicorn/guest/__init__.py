"""Guest side of an emulated CPU: its text, its memory, and the frames it has for itself."""
