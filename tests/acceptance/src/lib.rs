//! Nothing: cargo wants a library or a program in every package, and this one is tests alone. They call
//! the executables of the whole suite, as runtimes do (`tests/runtimes`) and as nobody should (`tests/hostile`).
