"""What the paper on mapping networks onto heterogeneous crossbars by integer programs published."""
