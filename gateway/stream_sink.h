// Where a streamed body goes: through the HTTP library when it may wait, past it when it must not.
#ifndef VALLM_GATEWAY_STREAM_SINK_H_
#define VALLM_GATEWAY_STREAM_SINK_H_

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "gateway/http_message.h"
#include "gateway/transport.h"

namespace vallm::gateway {

class StreamSink final : public BodySink {
 public:
  // Sends a piece of the body by the library, framed as it frames, and waits for it; false when the
  // client is gone.
  using LibraryWrite = std::function<bool(std::string_view)>;

  // `transport` is what the library writes to; `chunked`: in HTTP's chunks, which TryWrite then
  // makes itself.
  StreamSink(Transport& transport, std::chrono::milliseconds write_timeout, bool chunked,
             LibraryWrite write);

  bool Write(std::string_view bytes) override;
  bool TryWrite(std::string_view bytes) override;

 private:
  // Sends all that is left, as far as it goes with so much patience at a time.
  bool SendLeft(std::chrono::milliseconds patience);

  Transport& transport_;
  const std::chrono::milliseconds write_timeout_;
  const bool chunked_;
  const LibraryWrite write_;
  std::string left_;  // taken, as it goes on the wire
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_STREAM_SINK_H_
