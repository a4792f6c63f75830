// What an engine says in the trailing metadata of GenerateStream beside the status. An engine that
// died says neither: a client can tell its word from gRPC's own about a lost connection.
#ifndef VALLM_COMMON_ENGINE_TRAILERS_H_
#define VALLM_COMMON_ENGINE_TRAILERS_H_

namespace vallm {

// Present on every call that the engine itself has answered.
inline constexpr char kAnsweredTrailer[] = "vallm-answered";
// Present if it refused the request, which therefore has never run.
inline constexpr char kRefusedTrailer[] = "vallm-refused";

}  // namespace vallm

#endif  // VALLM_COMMON_ENGINE_TRAILERS_H_
