"""The SpikeX paper's studies (Xu, Boone, Li), run again and laid beside what was published."""
