# SeaweedFS for a user who is not root: a folder for its data that is that user's.
FROM chrislusf/seaweedfs:4.48
USER 0:0
RUN install -d -o 10001 -g 10001 /var/lib/seaweedfs
USER 10001:10001
