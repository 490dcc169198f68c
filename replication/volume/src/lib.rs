//! Sans-I/O core of volumes: geometry, maps and plans. Knows no files and no clocks.
