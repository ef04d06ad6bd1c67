"""What the gate's rules rest on: real changes, made and measured many times (`make calibrate`).

Data is collected in small JSON files, so collecting can be stopped and continued; `docs/calibration.md` is
written from them alone.
"""
