"""Reports to read and print: one HTML file without anything beside it. No Qt, QGIS, GDAL, torch."""
