// cpp-httplib, with those of its limits that have no setter. For the HTTP server's own files alone.
#ifndef VALLM_GATEWAY_HTTP_LIBRARY_H_
#define VALLM_GATEWAY_HTTP_LIBRARY_H_

#define CPPHTTPLIB_LISTEN_BACKLOG 4096
#define CPPHTTPLIB_HEADER_MAX_COUNT 100
#define CPPHTTPLIB_HEADER_MAX_LENGTH 16384
#define CPPHTTPLIB_MAX_LINE_LENGTH 32768
#define CPPHTTPLIB_RECV_BUFSIZ size_t(65536u)
#include <httplib.h>

#endif  // VALLM_GATEWAY_HTTP_LIBRARY_H_
