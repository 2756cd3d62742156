"""Services on the network that hand out analyses: ECMWF open data, NOAA's GFS, and Copernicus' CDS."""
