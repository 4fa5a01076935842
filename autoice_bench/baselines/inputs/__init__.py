"""What a network gets: channels by name, assembled on the device, and augmentation.

``features`` holds the groups and derived channels (add one there), ``augmentations`` turns and
cuts image, labels and wind together.
"""
