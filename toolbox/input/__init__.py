"""Where frames come from: in come folders, lists, videos and the camera, out numbered frames."""
