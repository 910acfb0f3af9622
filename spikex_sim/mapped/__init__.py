"""Networks neuron by neuron, and where on crossbars they are: graphs, pools, mappings, meshes, as data."""
