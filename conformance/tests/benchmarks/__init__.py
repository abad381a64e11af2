"""What is measured, beside a peer in the same run. A benchmark fails where a result is wrong, never by the clock."""
