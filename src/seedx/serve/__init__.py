"""An OpenAI-compatible server over one loaded model: `seedx serve`.

schemas, fields     what clients send, as pydantic models; each field is honoured or refused by name
messages            clients' messages and pictures -> conversations
scheduler           the one thread that runs the model: rows and images join and leave between passes
prefix_cache        turns that were read before
chat, images, responses     the endpoints; `app` puts them together
guard, fetch        keys, limits and pictures by address
"""
