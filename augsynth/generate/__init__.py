"""Floor 3: generators, p(x | y, group); one method a file."""
