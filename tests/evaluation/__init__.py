"""The evaluation set: clips of real faces with the truth about them, generated and never stored.

`python -m tests.evaluation FOLDER` makes all of it, `--quick` the part that the tests use. In FOLDER:
`people/Name/*.jpg` for those who are enrolled, `clips/SCENE.mp4` and, beside each, `clips/SCENE.json` with the truth
in the form that `surveillx bench recognition --truth` reads (docs/recognition.md).

The truth's box is where the detector's own box on the unchanged photograph comes to lie, not turned with the head: then
an IoU of 1 is what a perfect detector could reach. A face is called hidden while more than half of it is outside the
picture or behind another face.

The same set comes out each time. Its faces are seven real ones (see `cast`), each from one photograph, so light, size,
turn, blur and covering vary, and age, beard and expression do not.
"""
