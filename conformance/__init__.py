"""The conformance suite: any checkpoint loader, judged case by case."""
