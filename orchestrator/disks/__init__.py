"""The disks service: the only code that may mount, in a process of its own.

A session with a hard disk has its workspace in an ext4 image of its own, mounted through a loop device. Like the
spawner, this process answers a handful of typed requests: a caller names a session and a profile, never a path, a size
or a device. It keeps nothing in memory that matters: what is mounted says the kernel, so it may be killed at any time.

Nobody but this process needs to see the images. A sandbox sees a folder of the mounted file system, never the image.
"""
