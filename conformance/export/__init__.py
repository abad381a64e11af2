"""The corpus as plain files, for authors of loaders in other languages: directories, a JSON file a case, a manifest."""
