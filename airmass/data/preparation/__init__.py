"""From an archive to what training needs: checks, conversion, statistics, climatology."""
