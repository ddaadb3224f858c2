"""Third-party SSE clients reading a real stream, each as its own users would write it."""
