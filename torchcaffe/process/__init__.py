"""What holds for the whole process: device, OpenMP's threads, forks, the name `caffe`."""
