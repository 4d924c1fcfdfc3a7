//! Every effect on the machine: namespaces, links, files, processes. Nothing here knows a
//! configuration or a plugin.
