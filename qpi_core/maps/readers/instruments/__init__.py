"""Files of other instruments: Aarhus, Createc, Gxsm, Nanosurf, RHK, WSxM."""
