"""The engine: cases, the runner that isolates a loader, the judge, and the reports. It knows no loader and no area."""
