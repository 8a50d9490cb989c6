"""Fill missing cells: from donors, by chained equations, or with a generator; once or many times."""
