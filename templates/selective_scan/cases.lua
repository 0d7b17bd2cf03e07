-- A case of `verify` runs for every specialization. The oracle costs about 50 ns a state and step, so they are small.
local slow = { delta = { "uniform", -7, -6.9 } } -- softplus of it is about 1e-3: decay near one, errors add up
local steps = { delta = { "uniform", 1e-3, 0.1 } } -- a step size by itself when softplus = 0

return {
  verify = {
    { b = 1, l = 1, d = 1, init = steps, note = "smallest" },
    { b = 2, l = 37, d = 48, init = steps, note = "l is no multiple of a tile or chunk" },
    { b = 1, l = 64, d = 64, note = "whole tiles; softplus 0: delta below zero, growing states" , init = steps },
    { b = 3, l = 19, d = 46, pad = 1, init = steps, note = "odd pitches, ragged channels" },
    { b = 1, l = 97, d = 72, pad = 3, note = "odd pitches; large steps without softplus" , init = steps },
  },
}
